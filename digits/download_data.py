"""`python -m digits.download_data SET DIR`: the name under which the original offered `digits download-data`."""

from digits.cli import main

if __name__ == "__main__":
    import sys

    main(["download-data", *sys.argv[1:]])
