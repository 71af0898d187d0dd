//! An image as it arrives: which bytes belong to it, and where it ends.

use super::image::MARK_BYTES;

/// How the master said where the image ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    Length(u64),
    Mark([u8; MARK_BYTES]),
}

impl Form {
    /// From the line before the image: `$<length>` or `$EOF:<mark>`.
    pub fn parse(line: &[u8]) -> Option<Form> {
        let rest = line.strip_prefix(b"$")?;
        if let Some(mark) = rest.strip_prefix(b"EOF:") {
            return mark.try_into().ok().map(Form::Mark);
        }
        std::str::from_utf8(rest).ok()?.parse().ok().map(Form::Length)
    }
}

/// Takes chunks as they come from the connection.
#[derive(Debug)]
pub struct Arrival {
    form: Form,
    /// With a mark: the newest bytes, which may be its beginning.
    tail: Vec<u8>,
    received: u64,
}

/// What a chunk was.
#[derive(Debug, PartialEq, Eq)]
pub struct Took {
    /// Bytes of the image to keep.
    pub image: Vec<u8>,
    /// The image is complete; the rest of the chunk belongs to the stream.
    pub rest: Option<Vec<u8>>,
}

impl Arrival {
    pub fn new(form: Form) -> Self {
        Arrival { form, tail: Vec::new(), received: 0 }
    }

    /// Bytes of the image received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Of the whole image, if it was announced.
    pub fn total(&self) -> Option<u64> {
        match self.form {
            Form::Length(length) => Some(length),
            Form::Mark(_) => None,
        }
    }

    pub fn take(&mut self, chunk: &[u8]) -> Took {
        let took = match &self.form {
            Form::Length(length) => {
                let missing = usize::try_from(length - self.received).unwrap_or(usize::MAX);
                let cut = missing.min(chunk.len());
                let rest = (cut == missing).then(|| chunk[cut..].to_vec());
                Took { image: chunk[..cut].to_vec(), rest }
            }
            Form::Mark(mark) => {
                // Forty bytes of chance: they do not stand inside an image. Masters send nothing
                // after them until we acknowledge, yet looking everywhere costs little.
                self.tail.extend_from_slice(chunk);
                match memchr::memmem::find(&self.tail, mark) {
                    Some(at) => {
                        let rest = self.tail.split_off(at + MARK_BYTES);
                        self.tail.truncate(at);
                        Took { image: std::mem::take(&mut self.tail), rest: Some(rest) }
                    }
                    None => {
                        let certain = self.tail.len().saturating_sub(MARK_BYTES - 1);
                        let kept = self.tail.split_off(certain);
                        Took { image: std::mem::replace(&mut self.tail, kept), rest: None }
                    }
                }
            }
        };
        self.received += took.image.len() as u64;
        took
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(form: Form, bytes: &[u8], step: usize) -> (Vec<u8>, Option<Vec<u8>>) {
        let (mut arrival, mut image) = (Arrival::new(form), Vec::new());
        for (index, chunk) in bytes.chunks(step).enumerate() {
            let took = arrival.take(chunk);
            image.extend(took.image);
            if let Some(mut rest) = took.rest {
                rest.extend(bytes.chunks(step).skip(index + 1).flatten());
                return (image, Some(rest));
            }
        }
        (image, None)
    }

    #[test]
    fn the_end_is_found_however_the_bytes_are_split() {
        // The image ends as the mark begins, and the mark does not repeat itself.
        let mark = *b"0123456789abcdefghijklmnopqrstuvwxyzABCD";
        let mut bytes = b"REDIS image 0123456789".to_vec();
        bytes.extend(mark);
        bytes.extend(b"*1\r\n");
        for step in 1..bytes.len() {
            let (image, rest) = feed(Form::Mark(mark), &bytes, step);
            assert_eq!(image, b"REDIS image 0123456789", "{step}");
            assert_eq!(rest.as_deref(), Some(&b"*1\r\n"[..]), "{step}");
            let (image, rest) = feed(Form::Length(5), &bytes, step);
            assert_eq!((image.as_slice(), rest.as_deref()), (&b"REDIS"[..], Some(&bytes[5..])));
        }
    }

    #[test]
    fn heads_are_read() {
        assert_eq!(Form::parse(b"$12"), Some(Form::Length(12)));
        assert!(matches!(Form::parse(format!("$EOF:{}", "a".repeat(40)).as_bytes()), Some(Form::Mark(_))));
        for bad in [&b"$EOF:abc"[..], b"12", b"$-1", b"$", b"-ERR no"] {
            assert_eq!(Form::parse(bad), None);
        }
    }
}
