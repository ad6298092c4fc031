//! YAML settings of the nodes: what the user said, and what it means
