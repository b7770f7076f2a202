"""``python -m tickcast``."""

from tickcast.cli.main import main

if __name__ == "__main__":
    main()
