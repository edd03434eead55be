//! Memory of a process that has little to do any more.

use crate::fs::Root;

use super::sys;

/// Pages of the program itself that nobody has changed: those that are needed come again from the page cache.
///
/// Most of what a process shows as resident is its own code, of which its start has used a lot once.
#[derive(Debug, Default)]
pub struct Program {
    unchanged: Vec<(usize, usize)>,
}

impl Program {
    /// Finds out where they are; also what the allocator does not need is given back.
    pub fn find() -> Self {
        sys::trim_heap();
        let Ok(own) = Root::open("/proc/self".as_ref()) else { return Self::default() };
        let Ok(exe) = own.read_link("exe") else { return Self::default() };
        let Ok(text) = own.read("smaps", 4 << 20) else { return Self::default() };
        let exe = String::from_utf8_lossy(&exe).into_owned();
        Self { unchanged: unchanged(&String::from_utf8_lossy(&text), &exe) }
    }

    /// Gives them back, which is best done right before nothing happens.
    #[inline]
    pub fn forget(&self) {
        for (start, end) in &self.unchanged {
            sys::forget_pages(*start, end - start);
        }
    }
}

/// Returns the mappings of a file that can't be written and have no page that differs from it (proc_pid_smaps(5)).
fn unchanged(smaps: &str, file: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if let Some(range) = mapping(line, file) {
            current = range;
        } else if let Some(bytes) = line.strip_prefix("Anonymous:")
            && bytes.trim() == "0 kB"
        {
            found.extend(current.take());
        }
    }
    found
}

/// Returns the range of a mapping's first line if it is one of the file that can't be written; none for other lines.
fn mapping(line: &str, file: &str) -> Option<Option<(usize, usize)>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = (number(start)?, number(end)?);
    let rights = words.next()?;
    let is_file = line.ends_with(file) && line.split_ascii_whitespace().nth(5) == Some(file);
    Some((is_file && !rights.contains('w')).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_the_file() {
        let smaps = "1000-3000 r--p 00000000 fe:00 7 /bin/x\nRss: 8 kB\nAnonymous:             0 kB\nVmFlags: rd\n\
            3000-5000 r-xp 00002000 fe:00 7 /bin/x\nAnonymous:             0 kB\n\
            5000-6000 r--p 00004000 fe:00 7 /bin/x\nAnonymous:             4 kB\n\
            6000-7000 rw-p 00005000 fe:00 7 /bin/x\nAnonymous:             0 kB\n\
            7000-8000 r-xp 00000000 fe:00 8 /bin/y\nAnonymous:             0 kB\n\
            8000-9000 r--p 00000000 00:00 0\nAnonymous:             0 kB\n";
        assert_eq!(unchanged(smaps, "/bin/x"), [(0x1000, 0x3000), (0x3000, 0x5000)]);
    }

    #[test]
    fn a_process_lives_on_without_its_pages() {
        Program::find().forget();
        assert_eq!(mapping("", "x"), None);
    }
}
