"""`python -m archlens`."""

from archlens.cli.main import main

if __name__ == "__main__":
    main()
