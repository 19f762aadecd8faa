"""PostgreSQL: the tables, and every statement on them, in folders by subject."""
