"""Making a recipient unknown: who is erased, and finding and changing the rows that tell of one."""
