"""`python -m digits.predictor --socket PATH --folder JOBFOLDER --snapshot REL [--device cpu|cuda:0]`: keep one model loaded."""

import sys

from digits.predictor.server import main

if __name__ == "__main__":
    sys.exit(main())
