mod block;
mod merkle;
