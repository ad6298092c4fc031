//! Cloud nodes as seen from an edge node: connections, health, calls
