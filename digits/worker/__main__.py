"""`python -m digits.worker --jobs-dir DIR --attempt N JOB_ID`: do one job."""

import sys

from digits.worker.runtime import main

if __name__ == "__main__":
    sys.exit(main())
