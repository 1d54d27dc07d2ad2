"""Write the API reference, one page a module, to build/docs. Run by `make docs`."""

import pkgutil
from pathlib import Path

import pdoc

import rnnmc

OUTPUT = Path(__file__).parents[1] / "build/docs"


def main() -> None:
    """Render every module from its docstrings; packages bring what is in them."""
    vars(rnnmc).update({name: getattr(rnnmc, name) for name in rnnmc.__all__})  # pdoc shows what has been imported
    inner = [
        f"rnnmc.{module.name}" for module in pkgutil.iter_modules(rnnmc.__path__) if module.name not in rnnmc.__all__
    ]
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("rnnmc", *inner, output_directory=OUTPUT)
    print("Open build/docs/rnnmc.html")


if __name__ == "__main__":
    main()
