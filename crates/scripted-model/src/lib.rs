//! scripted-model
