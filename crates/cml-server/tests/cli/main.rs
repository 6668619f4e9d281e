//! The command as a process: answers, exit codes, files, and what it refuses.

mod doctor;
mod place;
mod server;
mod transfer;
mod verbs;
