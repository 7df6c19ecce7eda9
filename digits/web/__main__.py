"""`python -m digits.web`: the web process alone; `digits serve` starts it beside the supervisor."""

from digits.web.serve import main

if __name__ == "__main__":
    main()
