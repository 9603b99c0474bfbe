#!/usr/bin/env perl
# Checks the rules of the house that a compiler does not; called by `./dev lint` in the repository.
# Prints one line per fault, exits 1 when there is any.
use strict;
use warnings;
use File::Find ();

use constant {FILE_LINES => 400, FUNCTION_LINES => 60, COLUMNS => 100};

my @faults;
sub fault { my ($where, $what) = @_; push @faults, "$where: $what" }

sub read_lines {
  my ($path) = @_;
  open my $file, '<:encoding(UTF-8)', $path or die "cannot read $path: $!\n";
  chomp(my @lines = <$file>);
  return @lines;
}

sub sources {
  my @found;
  my $wanted = sub { push @found, $_ if /\.(?:cpp|h)$/ };
  File::Find::find({no_chdir => 1, wanted => $wanted}, grep { -d } @_);
  return sort @found;
}

# Layer -> what it may include, from the autarky_layer(...) lines of CMakeLists.txt.
sub layers {
  my $text = join "\n", read_lines('CMakeLists.txt');
  my %uses;
  while ($text =~ /^autarky_layer\(([^)]+)\)/mg) {
    my ($name, @words) = split ' ', $1;
    my $list = '';
    for my $word (@words) {
      if ($word =~ /^(?:USES|LIBS)$/) { $list = $word }
      elsif ($list eq 'USES') { $uses{$name}{$word} = 1 }
    }
    $uses{$name}{$name} = 1;
  }
  return %uses;
}

# The layer that a path below src/ lies in: the longest name that leads it, else its first folder.
sub layer_of {
  my ($path, $uses) = @_;
  my ($layer) = grep { $path =~ m{^\Q$_\E/} } sort { length $b <=> length $a } keys %$uses;
  return $layer // ($path =~ m{^([^/]+)/} ? $1 : '');
}

# src/backend itself is no layer: its interfaces belong to every backend and to whoever uses one.
sub may_include {
  my ($layer, $other, $uses) = @_;
  return 1 if $layer eq 'cli' || $layer eq $other || ($uses->{$layer} // {})->{$other};
  return scalar($other =~ /^(?:base|ir|ops)$/) if $layer eq 'backend';
  return 0 if $uses->{$other};
  return 1 if $layer =~ m{^\Q$other\E/};
  return scalar grep { m{^\Q$other\E/} } keys %{$uses->{$layer} // {}};
}

sub check_includes {
  my ($path, $lines, $uses) = @_;
  (my $inside = $path) =~ s{^src/}{};
  my $layer = layer_of($inside, $uses);
  for my $i (0 .. $#$lines) {
    next unless $lines->[$i] =~ m{^\s*#\s*include\s+"([^"]+/[^"]+)"};
    my $other = layer_of($1, $uses);
    next unless -d "src/$other";    # a library's header in quotes
    fault("$path:" . ($i + 1), "layer $layer may not include $other")
      unless may_include($layer, $other, $uses);
  }
}

# A function starts at the line where its parentheses open and ends at a `}` of the same indent.
sub check_functions {
  my ($path, $lines) = @_;
  my ($depth, $start, $indent, @open) = (0, 0, '');
  for my $i (0 .. $#$lines) {
    (my $line = $lines->[$i]) =~ s{//.*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)'}{}g;
    if ($depth <= 0) { ($depth, $start) = (0, $i); ($indent) = $line =~ /^(\s*)/ }
    $depth += ($line =~ tr/(//) - ($line =~ tr/)//);
    my $statement = qr/^\s*(?:\}\s*)?(?:if|else|for|while|switch|catch|do|namespace)\b/;
    my $opens = $depth == 0 && $line =~ /\)[\w\s:<>,*&\[\]-]*\{$/;
    push @open, [$start, $indent] if $opens && $lines->[$start] !~ $statement;
    while (@open && $line =~ /^\Q$open[-1][1]\E\}/ && $i > $open[-1][0]) {
      my ($first) = @{pop @open};
      my $length = $i - $first + 1;
      fault("$path:" . ($first + 1), "function of $length lines (limit ${\FUNCTION_LINES})")
        if $length > FUNCTION_LINES;
    }
  }
}

my $may_print = qr{^src/(?:cli/|base/error\.cpp)};    # error.cpp: the last words of a failed check

# Rules that one line of code can break: pattern, what is wrong, where it does not count.
my @line_rules = (
  [qr/\b(?:TODO|FIXME|XXX|HACK)\b/, 'unfinished work', undef, 'raw'],
  [qr/(?<![\w:])(?:std::)?(?:printf|fprintf|puts|fputs|putchar|perror)\s*\(/,
    'prints; only src/cli prints', $may_print],
  [qr/\bstd::(?:cout|cerr|clog)\b|\bfmt::print\b/, 'prints; only src/cli prints', $may_print],
  [qr/^\s*#\s*include\s*<(?:nlohmann\/json\.hpp|CLI\/|spdlog\/|dnnl|yaml-cpp)/,
    'heavy header in a header', qr/\.cpp$/],
  [qr/\busing namespace\b/, 'using namespace in a header', qr/\.cpp$/],
  [qr/[^\x00-\x7f]/, 'not ASCII', qr/^$/, 'raw'],
);

sub check_lines {
  my ($path, $lines) = @_;
  my $count = @$lines;
  fault($path, "$count lines (limit ${\FILE_LINES})") if $count > FILE_LINES;
  for my $i (0 .. $#$lines) {
    my $where = "$path:" . ($i + 1);
    my $columns = length $lines->[$i];
    fault($where, "$columns columns (limit ${\COLUMNS})") if $columns > COLUMNS;
    next unless $path =~ m{^src/};
    (my $code = $lines->[$i]) =~ s{//.*|"(?:[^"\\]|\\.)*"}{}g;
    for my $rule (@line_rules) {
      my ($pattern, $what, $except, $raw) = @$rule;
      next if defined $except && $path =~ $except;
      fault($where, $what) if ($raw ? $lines->[$i] : $code) =~ $pattern;
    }
  }
}

sub check_readmes {
  my %folders;
  for my $path (sources('src')) { $folders{$1} = 1 if $path =~ m{^(src/[^/]+)/} }
  for my $folder (sort keys %folders) {
    fault($folder, 'no README.md: what it is, what it may include, where to start')
      unless -s "$folder/README.md";
  }
}

my %uses = layers();
for my $path (sources('src', 'tests', 'bench')) {
  my @lines = read_lines($path);
  check_lines($path, \@lines);
  check_functions($path, \@lines);
  check_includes($path, \@lines, \%uses) if $path =~ m{^src/};
}
check_readmes();

binmode STDOUT, ':encoding(UTF-8)';
print "$_\n" for @faults;
exit(@faults ? 1 : 0);
