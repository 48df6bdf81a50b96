"""Reading the central log back: who to ask, the program that reads there, and what came of it."""
