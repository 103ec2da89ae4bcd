//! Every option of every program, by the programs' own descriptions (`PROGRAM --dump-options`): what it is called, what
//! it accepts, whether it is read or refused, and where outputs go. A new option has to pass too.

mod corpora;
mod dump;
mod json_fields;
mod modes;
mod numbers;
mod outputs;
mod vocabulary;
mod workplace;
