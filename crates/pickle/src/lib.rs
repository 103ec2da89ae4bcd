#![doc = include_str!("../README.md")]

pub mod opcode;
mod tokens;

pub use tokens::{Argument, Token, Tokens};
