"""What talking to AWS needs without an SDK: credentials and signatures."""
