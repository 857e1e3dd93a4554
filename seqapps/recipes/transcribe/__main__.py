"""`python -m seqapps.recipes.transcribe`."""

import sys

from seqapps.commands.program import run
from seqapps.recipes.transcribe.recipe import RECIPE

sys.exit(run(RECIPE))
