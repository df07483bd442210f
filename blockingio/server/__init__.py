"""HttpServer and what it hands out."""
