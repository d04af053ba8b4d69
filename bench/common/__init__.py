"""What every package of the benchmark needs: errors, paths, sourced YAML, atomic files, order statistics, tables."""
