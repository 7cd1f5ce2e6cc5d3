"""Images to look at: serving copies, screen pictures, what a viewer asks for, and what people mark."""
