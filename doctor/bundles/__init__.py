"""What people send: files, folders, archives, mail and exports, read without unpacking anything to disk."""
