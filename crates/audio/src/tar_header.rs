//! The header that is before each file in a tar file (POSIX.1-1988 "ustar", and GNU's form of it).

/// Bytes of a header.
pub(crate) const LENGTH: usize = 512;

/// Where the fields are.
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..262;

/// The size of the file that the header `head` stands before; `None` if it is no header.
///
/// # Errors
/// It is a header and damaged, or of something that is no file.
pub(crate) fn file_size(head: &[u8]) -> Result<Option<u64>, String> {
    let Some(head) = head.get(..LENGTH).filter(|head| head[MAGIC] == *b"ustar") else { return Ok(None) };
    let sum = checksum(head);
    match octal(&head[CHECKSUM]) {
        Some(found) if found == sum => {}
        found => {
            let found = found.map_or_else(|| "no number".to_owned(), |found| found.to_string());
            return Err(format!(
                "a tar header whose checksum is {found}, expected {sum}: the offset is wrong, or it is damaged"
            ));
        }
    }
    if !matches!(head[KIND], b'0' | b'7' | 0) {
        return Err(format!("a tar header of type {:?}, expected a file", char::from(head[KIND])));
    }
    size(&head[SIZE]).map(Some).ok_or_else(|| "a tar header whose size is no number".to_owned())
}

/// The sum of the bytes, with spaces in the place of the sum itself.
fn checksum(head: &[u8]) -> u64 {
    let byte = |(place, &byte): (usize, &u8)| u64::from(if CHECKSUM.contains(&place) { b' ' } else { byte });
    head.iter().enumerate().map(byte).sum()
}

/// Octal digits, or GNU's form for 8 GiB and more: a byte 0x80 and the number in the bytes after it.
fn size(field: &[u8]) -> Option<u64> {
    match field.split_first()? {
        (0x80, bytes) => {
            bytes.iter().try_fold(0_u64, |sum, &byte| sum.checked_mul(256).map(|sum| sum | u64::from(byte)))
        }
        _ => octal(field),
    }
}

/// Octal digits between spaces and zero bytes.
fn octal(field: &[u8]) -> Option<u64> {
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_filler(byte))?;
    let digits = field[start..].split(is_filler).next()?;
    digits.iter().try_fold(0_u64, |sum, &byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        sum.checked_mul(8)?.checked_add(u64::from(digit))
    })
}

/// A header of a file, with the field of its size.
#[cfg(test)]
pub(crate) fn of_file(size: &[u8; 12]) -> [u8; LENGTH] {
    let mut head = [0; LENGTH];
    head[..5].copy_from_slice(b"a.wav");
    head[SIZE].copy_from_slice(size);
    head[KIND] = b'0';
    head[MAGIC].copy_from_slice(b"ustar");
    let sum = format!("{:06o}\0 ", checksum(&head));
    head[CHECKSUM].copy_from_slice(sum.as_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_octal_or_in_gnus_form() {
        let size = |field| file_size(&of_file(field)).unwrap();
        assert_eq!(size(b"00000001750\0"), Some(1000));
        assert_eq!(size(b"     1750 \0\0"), Some(1000));
        assert_eq!(size(b"\x80\0\0\0\0\0\0\x02\0\0\0\x01"), Some((2 << 32) + 1));
        for damaged in [b"00000001850\0", b"\0\0\0\0\0\0\0\0\0\0\0\0", b"\x80\x01\0\0\0\0\0\0\0\0\0\0"] {
            assert!(file_size(&of_file(damaged)).unwrap_err().contains("no number"));
        }
    }

    #[test]
    fn what_is_no_header_of_a_file_is_told() {
        assert_eq!(file_size(b"RIFF"), Ok(None));
        assert_eq!(file_size(&[0; LENGTH]), Ok(None));
        let mut head = of_file(b"00000001750\0");
        head[0] = b'b';
        assert!(file_size(&head).unwrap_err().contains("checksum"), "a byte is another");
        let mut folder = of_file(b"00000000000\0");
        folder[KIND] = b'5';
        let sum = format!("{:06o}\0 ", checksum(&folder));
        folder[CHECKSUM].copy_from_slice(sum.as_bytes());
        assert!(file_size(&folder).unwrap_err().contains("type '5', expected a file"));
    }
}
