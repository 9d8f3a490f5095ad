"""Put the small published models into the wheel; pyproject.toml has everything else."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODELS = ("photometry", "photometry_redshift")


class BuildWithModels(build_py):
    """Copy models from where the repository keeps them: no file is there twice."""

    def run(self):
        super().run()
        for name in () if self.editable_mode else MODELS:
            source = Path("data/published/models", name)
            target = Path(self.build_lib, "galcfm", "models", name)
            shutil.copytree(source, target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithModels})
