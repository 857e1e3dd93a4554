"""`python -m seqapps.recipes.generate`."""

import sys

from seqapps.commands.program import run
from seqapps.recipes.generate.recipe import RECIPE

sys.exit(run(RECIPE))
