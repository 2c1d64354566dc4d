"""What the end-to-end tests stand on: real servers, images made in place, and the program under test."""
