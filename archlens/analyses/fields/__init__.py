"""What may be seen, exactly: theoretical fields, visible boxes, supports, and how sure they are."""
