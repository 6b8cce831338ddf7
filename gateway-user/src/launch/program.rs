//! What is executed, prepared before there is a child: between `clone` and `execve` nothing may be
//! allocated, so the search path is expanded and every pointer array built here.

use std::{
    ffi::{CStr, CString, OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    ptr,
};

use super::environment::Variables;

/// Where programs are looked for when `PATH` is not set, as glibc has it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The command line cannot be given to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// It is empty.
    #[error("no command is given: add it after --")]
    Empty,
    /// A NUL byte would cut an argument short.
    #[error("the command line or the environment contains a NUL byte")]
    Nul,
}

/// A command ready for `execve(2)`.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    variables: Vec<CString>,
}

/// The pointer arrays `execve` wants, valid as long as the [`Program`] they point into.
#[derive(Debug)]
pub(super) struct Pointers {
    /// `argv` of the program itself.
    pub(super) arguments: Vec<*const libc::c_char>,
    /// `envp`.
    pub(super) variables: Vec<*const libc::c_char>,
    /// Each file to try, with the `argv` that has `/bin/sh` interpret it, should it be a script
    /// without a `#!` line (as `execvp(3)` does).
    pub(super) candidates: Vec<(*const libc::c_char, Vec<*const libc::c_char>)>,
}

/// The shell for scripts without `#!`.
pub(super) const SHELL: &CStr = c"/bin/sh";

impl Program {
    /// Expands `command` along the `PATH` of `variables`.
    pub(super) fn new(command: &[OsString], variables: Variables) -> Result<Self, BadCommand> {
        let program = command.first().filter(|program| !program.is_empty()).ok_or(BadCommand::Empty)?;
        let path = variables.get(OsStr::new("PATH")).map_or(OsStr::new(DEFAULT_PATH), OsString::as_os_str);
        let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| BadCommand::Nul);
        Ok(Self {
            name: program.to_string_lossy().into_owned(),
            candidates: candidates(program.as_bytes(), path.as_bytes())
                .into_iter()
                .map(c_string)
                .collect::<Result<_, _>>()?,
            arguments: command
                .iter()
                .map(|argument| c_string(argument.as_bytes().to_vec()))
                .collect::<Result<_, _>>()?,
            variables: variables
                .into_iter()
                .map(|(name, value)| c_string([name.as_bytes(), b"=", &value.into_vec()].concat()))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The program as it was asked for, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The arrays for `execve`, all ending with a null pointer.
    pub(super) fn pointers(&self) -> Pointers {
        let terminated = |texts: &[CString]| -> Vec<_> {
            texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
        };
        let rest = self.arguments.get(1..).unwrap_or_default();
        let shell = |file: &CString| {
            let head = [SHELL.as_ptr(), file.as_ptr()].into_iter();
            (file.as_ptr(), head.chain(terminated(rest)).collect())
        };
        Pointers {
            arguments: terminated(&self.arguments),
            variables: terminated(&self.variables),
            candidates: self.candidates.iter().map(shell).collect(),
        }
    }
}

/// The files to try, in order (`execvp(3)`).
fn candidates(program: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    if program.contains(&b'/') {
        return vec![program.to_vec()];
    }
    path.split(|byte| *byte == b':')
        .map(|directory| match directory {
            // An empty entry is the current directory.
            b"" => [b"./", program].concat(),
            directory => [directory, b"/", program].concat(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_path_is_expanded() {
        let check = |program: &str, path: &str, expected: &[&str]| {
            let found = candidates(program.as_bytes(), path.as_bytes());
            assert_eq!(found, expected.iter().map(|path| path.as_bytes().to_vec()).collect::<Vec<_>>());
        };
        check("ls", "/bin:/usr/bin", &["/bin/ls", "/usr/bin/ls"]);
        check("ls", ":/bin:", &["./ls", "/bin/ls", "./ls"]);
        check("./ls", "/bin", &["./ls"]);
        check("/bin/ls", "", &["/bin/ls"]);
    }

    #[test]
    fn the_path_is_that_of_the_commands_environment() {
        let variables = Variables::from([("PATH".into(), "/opt/bin".into())]);
        let program = Program::new(&["ls".into(), "-l".into()], variables).unwrap();
        assert_eq!(program.candidates, [c"/opt/bin/ls".to_owned()]);
        assert_eq!(program.variables, [c"PATH=/opt/bin".to_owned()]);
        let pointers = program.pointers();
        assert_eq!((pointers.arguments.len(), pointers.variables.len()), (3, 2));
        // /bin/sh, the file, -l, null.
        assert_eq!(pointers.candidates.first().unwrap().1.len(), 4);
        let program = Program::new(&["ls".into()], Variables::new()).unwrap();
        assert_eq!(program.candidates, [c"/bin/ls".to_owned(), c"/usr/bin/ls".to_owned()]);
    }

    #[test]
    fn what_the_kernel_cannot_take_is_refused() {
        let new = |command: &[&str], variables: Variables| {
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            Program::new(&command, variables).map(drop)
        };
        assert_eq!(new(&[], Variables::new()), Err(BadCommand::Empty));
        assert_eq!(new(&[""], Variables::new()), Err(BadCommand::Empty));
        assert_eq!(new(&["a", "b\0c"], Variables::new()), Err(BadCommand::Nul));
        assert_eq!(new(&["a"], Variables::from([("A".into(), "\0".into())])), Err(BadCommand::Nul));
    }
}
