"""Supply chain of a function: its files in every form, their licences, known vulnerabilities."""
