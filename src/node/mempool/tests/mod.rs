mod blocks;
mod cases;
mod model;
