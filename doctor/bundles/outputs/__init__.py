"""One module for the tools of one maker: their output as text to readings and values."""
