-- The CRC-32 of key and bytes; none of what was written before.
ALTER TABLE chunks ADD COLUMN checksum INTEGER;
