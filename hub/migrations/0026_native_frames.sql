-- Where uncompressed grey frames lie in the file that was sent, so that a screen image is made without a decoder.
ALTER TABLE dicom_pixels ADD COLUMN native jsonb; -- {at, bits, high_bit, little}; null: from the serving copy
