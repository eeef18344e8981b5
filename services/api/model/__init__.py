"""What the api knows, kept in memory: the register in force, published indicators, and watches of them."""
