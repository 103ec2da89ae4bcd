#![doc = include_str!("../README.md")]

mod html;
mod page;
mod table;

pub use html::Html;
pub use page::Page;
pub use table::{Cell, Table};
