"""Names, options and help of every command. What a command runs is imported when it runs, so that --help is quick."""
