"""``python -m codecbench``."""

from codecbench.cli import main

if __name__ == "__main__":
    main()
