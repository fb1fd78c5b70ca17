"""Numbers of one network or of several, and the sentences that they carry."""
