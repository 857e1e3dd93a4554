"""Short commands and numbers, spoken on this machine by eSpeak NG: synthetic, and said to be so."""

from seqapps.recipes.transcribe.spoken.splits import RATE_HZ, Spoken, SpokenSplits, spoken

__all__ = ["RATE_HZ", "Spoken", "SpokenSplits", "spoken"]
