"""What people say: sheets for review, overrules of the program, gold verdicts and how far a judge is right."""
