"""`python main.py` is `promise-pub serve`."""

import sys

from promise_pub.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
