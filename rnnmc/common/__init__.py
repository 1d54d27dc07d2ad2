"""What every room may use: errors that a user can mend, things found by name, refusals in a sentence, words, files."""
