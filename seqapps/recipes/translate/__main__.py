"""`python -m seqapps.recipes.translate`."""

import sys

from seqapps.commands.program import run
from seqapps.recipes.translate.recipe import RECIPE

sys.exit(run(RECIPE))
