"""`python -m seqapps.recipes.sentiment`."""

import sys

from seqapps.commands.program import run
from seqapps.recipes.sentiment.recipe import RECIPE

sys.exit(run(RECIPE))
