#!/usr/bin/env perl
# Makes clean text documents of unpacked Debian packages; called by make_corpus.sh.
#   corpus.pl ROOT OUT_DIR     ROOT: the packages' tree (usr/share/...); writes english.jsonl, chinese.jsonl
# Core modules only. Every record is {"text": ...}; a document is a whole page or a few kB of it.
use strict;
use warnings;
use utf8;
use Encode ();
use File::Find ();
use Pod::Text ();

use constant MAX_CHARS     => 5000;    # a document is cut at the next section or paragraph after this
use constant MIN_CHARS     => 60;      # shorter documents say nothing
use constant REPEAT_CHARS  => 100;     # a paragraph at least this long is kept once (licences, notes)
use constant FORTUNE_TIMES => 2;       # weight: the fortunes are the only Chinese that is no manual
use constant CHINESE_SHARE => 0.12;    # least share of Chinese characters: many pages are half English

# Emphasis without the stars around it.
@PlainPod::ISA = ('Pod::Text');
sub PlainPod::cmd_i { my ($self, $attributes, $text) = @_; return $text }

binmode STDOUT, ':encoding(UTF-8)';
my ($root, $out) = @ARGV;
die "usage: corpus.pl ROOT OUT_DIR\n" unless defined $out && -d $root;

my %seen;                              # long paragraphs and whole documents that were written
my %counts;                            # source -> [documents, bytes]
my $han = qr/[\x{3400}-\x{9fff}]/;
my $wide = qr/[\x{2e80}-\x{9fff}\x{ff00}-\x{ffef}\x{201c}\x{201d}]/;

# ---- documents -------------------------------------------------------------------------------

# A long table or listing is cut at line ends.
sub short_enough {
  my ($paragraph) = @_;
  my ($text, $section) = @$paragraph;
  return $paragraph if length $text <= MAX_CHARS;
  my @parts = ('');
  for my $line (split /^/m, $text) {
    push @parts, '' if length($parts[-1]) + length $line > MAX_CHARS / 2;
    $parts[-1] .= $line;
  }
  chomp @parts;
  return map { [$parts[$_], $_ == 0 && $section] } grep { $parts[$_] =~ /\S/ } 0 .. $#parts;
}

# Paragraphs of a page to documents of about MAX_CHARS; a paragraph is [text, starts a section].
sub cut {
  my (@paragraphs) = @_;
  my (@documents, $document);
  for my $paragraph (map { short_enough($_) } @paragraphs) {
    my ($text, $section) = @$paragraph;
    next if length $text >= REPEAT_CHARS && $seen{$text}++;
    my $size = defined $document ? length $document : 0;
    my $full = $size > MAX_CHARS || ($section && $size > MAX_CHARS / 3);
    push @documents, $document if $full;
    $document = $full || !$size ? $text : "$document\n\n$text";
  }
  push @documents, $document if defined $document;
  return grep { length $_ >= MIN_CHARS } @documents;
}

my %json_escapes = ("\n" => '\\n', "\t" => '\\t', '"' => '\\"', '\\' => '\\\\');

sub json_record {
  my ($text) = @_;
  $text =~ s/(["\\\x00-\x1f])/$json_escapes{$1} \/\/ sprintf '\\u%04x', ord $1/ge;
  return Encode::encode_utf8("{\"text\": \"$text\"}\n");
}

sub write_documents {
  my ($file, $source, $times, @documents) = @_;
  for my $text (grep { !$seen{"document $_"}++ } @documents) {
    print $file json_record($text) x $times or die "cannot write: $!\n";
    $counts{$source}[0] += $times;
    $counts{$source}[1] += $times * length Encode::encode_utf8($text);
  }
}

# The few very long fortunes are chapters of a book.
sub cut_text {
  my ($text) = @_;
  return length $text <= MAX_CHARS ? $text : cut(map { [$_, 0] } split /\n{2,}/, $text);
}

sub files_under {
  my ($folder, $pattern) = @_;
  my @found;
  return () unless -d $folder;
  File::Find::find({no_chdir => 1, wanted => sub { push @found, $_ if -f && !-l && /$pattern/ }},
    $folder);
  return sort @found;
}

sub read_text {
  my ($path) = @_;
  open my $file, '-|', $path =~ /\.gz$/ ? ('gzip', '-dc', $path) : ('cat', $path)
    or die "cannot read $path: $!\n";
  my $bytes = do { local $/; <$file> };
  close $file or die "cannot read $path\n";
  my $text = Encode::decode('UTF-8', $bytes // '', Encode::FB_DEFAULT);
  $text =~ s/\r\n?/\n/g;
  $text =~ tr/\x{a0}/ /;
  $text =~ s/[\x{e000}-\x{f8ff}\x{fffd}\x{feff}]//g;
  return $text;
}

# ---- POD: the manuals of Perl ----------------------------------------------------------------

# Sections are rendered one by one, so that a document can start at each of them.
sub pod_paragraphs {
  my ($pod) = @_;
  my @paragraphs;
  for my $section (split /^(?==head[12]\s)/m, $pod) {
    my $renderer = PlainPod->new(indent => 0, width => 1e6, quotes => 'none', errors => 'none');
    my $text;
    $renderer->output_string(\$text);
    $renderer->parse_string_document(Encode::encode_utf8("=encoding UTF-8\n\n=pod\n\n$section"));
    $text = Encode::decode('UTF-8', $text // '') unless utf8::is_utf8($text);
    $text =~ s/[ \t]+$//mg;
    my $start = $section =~ /^=head/ ? 1 : 0;
    for my $paragraph (grep { /\S/ } split /\n{2,}/, $text) {
      $paragraph =~ s/^\n+|\n+$//g;
      push @paragraphs, [$paragraph, $start];
      $start = 0;
    }
  }
  return @paragraphs;
}

sub perl_manuals {
  my ($file) = @_;
  # Lists of names without sentences, and the few pages in other languages.
  my $skip = qr{/perl(?:toc|uniprops|modlib|cn|jp|ko|tw)\.pod$};
  for my $path (files_under("$root/usr/share/perl", qr{/pod/perl[^/]*\.pod$})) {
    next if $path =~ $skip;
    my $pod = read_text($path);
    $pod =~ s/^=encoding.*\n//mg;
    write_documents($file, 'Perl manuals', 1, cut(pod_paragraphs($pod)));
  }
}

# ---- fortunes --------------------------------------------------------------------------------

# Columns on a terminal, where a Chinese character takes two.
sub columns { my ($text) = @_; my $wides = () = $text =~ /$wide/g; return $wides + length $text }

# Joins lines that were broken at the right margin; lines of poems are shorter or end a sentence.
sub unwrap {
  my ($text) = @_;
  my @lines = split /\n/, $text;
  my @joined = shift @lines;
  my $last = $joined[0];
  for my $line (@lines) {
    my $wrapped = columns($last) >= 64 && $last =~ /$han/ && $last !~ /[。！？…」”]$/;
    $last = $line;
    if ($wrapped && $line =~ /^\s*(?!--|[*\s])(.+)/) { $joined[-1] = join_lines($joined[-1], $1) }
    else                                             { push @joined, $line }
  }
  return join "\n", @joined;
}

sub fortune_text {
  my ($text) = @_;
  $text =~ s/\e\[[0-9;]*[A-Za-z]//g;
  $text =~ s/[\x00-\x08\x0b-\x1f\x7f]//g;
  $text =~ s/[ \t\x{3000}]+$//mg;
  $text =~ s/^.*[\x{2500}-\x{257f}].*\n?//mg;       # tables drawn with lines
  $text =~ s/^ *-- Osamu Aoki .*\n?//mg;            # the same source under a thousand entries
  $text =~ s/\n{3,}/\n\n/g;
  $text =~ s/^\n+|\s+$//g;
  $text =~ s/^ {4}//mg if $text =~ /^\d+(?:\.\d+)+\. /;
  return $text =~ /\n/ ? unwrap($text) : $text;
}

sub fortunes {
  my ($file) = @_;
  for my $path (files_under("$root/usr/share/games/fortunes", qr{/[^/.]+$})) {
    my @documents = map { fortune_text($_) } split /^%\n/m, read_text($path);
    my @wanted = grep { /$han/ && length $_ >= 8 && !/^\d+(?:\.\d+)+\. .*$/ || /\n\n/ } @documents;
    write_documents($file, 'fortunes-zh', FORTUNE_TIMES, map { cut_text($_) } @wanted);
  }
}

# ---- roff: the Chinese manual pages ----------------------------------------------------------

my %roff_characters = (
  aq => "'", dq => '"', bu => '*', em => '--', en => '-', hy => '-', lq => "\x{201c}", rq => "\x{201d}",
  oq => "'", cq => "'", co => '(C)', rg => '(R)', tm => '(TM)', ga => '`', ha => '^', ti => '~',
  rs => '\\', sl => '/', bv => '|', br => '|', ul => '_', '+-' => '+/-', '**' => '*', mu => 'x',
  '->' => '->', '<-' => '<-', '<=' => '<=', '>=' => '>=', '!=' => '!=', '==' => '==', sc => "\x{a7}",
  de => "\x{b0}", at => '@', sh => '#', Do => '$', lB => '[', rB => ']', lC => '{', rC => '}', ae => "\x{e6}",
  fm => "'", 14 => '1/4', 12 => '1/2', '*p' => "\x{3c0}", '*m' => "\x{3bc}", '*W' => "\x{3a9}",
  '*b' => "\x{3b2}",
);
my %roff_strings = ('lq' => "\x{201c}", 'rq' => "\x{201d}", 'L"' => '"', 'R"' => '"', '--' => '--',
  'C+' => 'C++', 'PI' => "\x{3c0}", 'R' => '(R)', 'Tm' => '(TM)', q('') => '"', '``' => '"');

# Escapes of one line of running text to plain characters.
sub roff_text {
  my ($line) = @_;
  $line =~ s/\\["#].*//;
  $line =~ s/\\f(?:\(..|\[[^\]]*\]|.)//g;
  $line =~ s/\\s(?:\([-+]?\d\d|\[[^\]]*\]|[-+]?\d{1,2}|)//g;
  $line =~ s/\\[hvlLwDxo]'[^']*'//g;
  $line =~ s/\\[mMFn](?:\[[^\]]*\]|\(..|.)//g;
  $line =~ s/\\k.//g;
  $line =~ s/\\\*(?:\((..)|\[([^\]]*)\]|(.))/$roff_strings{$1 \/\/ $2 \/\/ $3} \/\/ ''/ge;
  $line =~ s/\\\[u([0-9A-Fa-f]{4,5})\]/chr hex $1/ge;
  $line =~ s/\\(?:\((..)|\[([^\]]*)\])/$roff_characters{$1 \/\/ $2} \/\/ ''/ge;
  $line =~ s/\\[&|^%:\/,cpdurz{}!?]//g;
  $line =~ s/\\[ 0~t]/ /g;
  $line =~ s/\\(.)/$1 eq 'e' ? '\\' : $1/ge;
  return $line;
}

# Arguments of a macro line: words, or "quoted words" ("" is a quote inside).
sub roff_arguments {
  my ($line) = @_;
  my @arguments;
  $line =~ s/\\["#].*//;
  $line =~ s/\\ /\x{a0}/g;
  while ($line =~ /\G[ \t]*(?:"((?:[^"]|"")*)"?|(\S+))/gc) {
    my $argument = $1 // $2;
    $argument =~ s/""/"/g;
    $argument =~ s/\x{a0}/ /g;
    push @arguments, roff_text($argument);
  }
  return @arguments;
}

# Lines that were broken only for the page: Chinese joins without a space.
sub join_lines {
  my ($left, $right) = @_;
  return $right if $left eq '';
  return $left =~ /\n$/ || ($left =~ /$wide$/ && $right =~ /^$wide/) ? "$left$right" : "$left $right";
}

# Requests and macros that only move or dress the page, and those that start a paragraph.
my %is_break     = map { $_ => 1 } qw(br ti in ce);
my %is_paragraph = map { $_ => 1 } qw(PP LP P Sp sp HP TP TQ IP RS RE Pp bp ne AP QP CS CE BS BE OP);
my %is_font      = map { $_ => 1 } qw(B I SM SB R CW b i);
my %is_mixed     = map { $_ => 1 } qw(BR BI RB RI IB IR);
my %starts_code  = map { $_ => 1 } qw(nf Vb EX CS DS);
my %ends_code    = map { $_ => 1 } qw(fi Ve EE CE DE);

# Removes definitions, comments and conditional blocks; what a terminal shows of an `.if n` stays.
sub roff_visible_lines {
  my ($text) = @_;
  my (@lines, $until);
  my $depth = 0;
  $text =~ s/\\\n//g;
  for my $line (split /\n/, $text) {
    if (defined $until) {
      undef $until if $line =~ /^[.'][ \t]*\Q$until\E\s*$/;
      next;
    }
    if ($depth > 0) {
      $depth += () = $line =~ /\\\{/g;
      $depth -= () = $line =~ /\\\}/g;
      next;
    }
    next if $line =~ /^(?:[.'][ \t]*(?:\\["#].*)?|'''.*)$/;
    if ($line =~ /^[.'][ \t]*(?:de1?|am|ig)\b[ \t]*(\S*)[ \t]*(\S*)/) {
      my $end = $2 || ($line =~ /^[.'][ \t]*ig\b[ \t]*(\S*)/ ? $1 : '');
      $until = $end eq '' ? '.' : $end;
      next;
    }
    if ($line =~ /^[.'][ \t]*(?:if|ie|el|while)\b/) {
      $depth += () = $line =~ /\\\{/g;
      $depth -= () = $line =~ /\\\}/g;
      $depth = 0 if $depth < 0;
      next unless $line =~ /^[.'][ \t]*(?:if|ie)[ \t]+n[ \t]+(.*)$/ && $depth == 0;
      $line = $1;
    }
    if ($line =~ /^\.TS\b/) { $until = 'TE'; next; }
    push @lines, $line;
  }
  return @lines;
}

sub roff_paragraphs {
  my ($roff) = @_;
  my (@paragraphs, $code, $tag_next);
  my ($current, $section) = ('', 0);
  my $end = sub {
    $current =~ s/[ \t\x{a0}]+$//mg;
    $current =~ s/^\n+|\s+$//g;
    push @paragraphs, [$current, $section] if $current =~ /\S/;
    ($current, $section) = ('', 0) if $current =~ /\S/;
    $current = '';
  };
  my $break = sub { $current .= "\n" if $current ne '' && $current !~ /\n$/ };
  my $add = sub {
    my ($text) = @_;
    return if $text eq '';
    $code ? ($current .= "$text\n") : ($current = join_lines($current, $text));
    if ($tag_next) { $break->(); $tag_next = 0; }
  };
  for my $line (roff_visible_lines($roff)) {
    if ($line !~ /^[.']/) {
      my $text = roff_text($line);
      if ($text !~ /\S/) { $code ? $current .= "\n" : $end->(); next; }
      $break->() if !$code && $text =~ /^[ \t]/;
      $text =~ s/^ (?=\S)//, $text =~ s/(?<=\S)[ \t]+/ /g unless $code;
      $add->($text);
      next;
    }
    next unless $line =~ /^[.'][ \t]*([A-Za-z]+)[ \t]*(.*)$/;
    my ($name, $rest) = ($1, $2);
    if ($starts_code{$name}) { $break->(); $code = 1; next; }
    if ($ends_code{$name})   { $break->(); $code = 0; next; }
    if ($name =~ /^S[HS]$/) {
      $end->();
      ($code, $tag_next) = (0, 0);
      $section = 1;
      $current = join(' ', roff_arguments($rest)) . "\n";
    } elsif ($is_font{$name}) {
      $add->(join ' ', roff_arguments($rest));
    } elsif ($is_mixed{$name}) {
      $add->(join '', roff_arguments($rest));
    } elsif ($is_paragraph{$name}) {
      $end->() unless $code;
      $tag_next = $name =~ /^T[PQ]$/;
      if ($name =~ /^(?:IP|AP|OP)$/) {
        my @arguments = roff_arguments($rest);
        @arguments = @arguments[0 .. 0] if $name eq 'IP' && @arguments;
        $add->(join ' ', @arguments);
        $name eq 'IP' && "@arguments" =~ /^\W{0,2}$/ or $break->();
      }
    } elsif ($is_break{$name}) {
      $break->();
    }
  }
  $end->();
  return @paragraphs;
}

# Who translated a page and when is no part of it.
sub without_credits {
  my (@paragraphs) = @_;
  my @kept;
  my $credits = 0;
  for my $paragraph (@paragraphs) {
    my ($text, $section) = @$paragraph;
    $credits = $text =~ /^\W*(?:中文版|中国\s*linux|《中国|译者|翻译|跋\b|跋$)/mi ? 1 : 0 if $section;
    push @kept, $paragraph unless $credits || $text =~ /^本页面中文版|手册页翻译计划|^http:\S*$/;
  }
  return @kept;
}

sub is_chinese {
  my ($text) = @_;
  my $characters = () = $text =~ /$han/g;
  return $characters >= CHINESE_SHARE * length $text;
}

sub manual_pages {
  my ($file) = @_;
  for my $path (files_under("$root/usr/share/man/zh_CN", qr/\.gz$/)) {
    my $roff = read_text($path);
    next if $roff =~ /^\.so /m && length $roff < 200;    # another name of a page
    next if $roff =~ /^\.D[dt]\b/m;                      # the few pages in BSD's other macros
    my @documents = cut(without_credits(roff_paragraphs($roff)));
    write_documents($file, 'manpages-zh', 1, grep { is_chinese($_) } @documents);
  }
}

# ---- all -------------------------------------------------------------------------------------

sub write_file {
  my ($name, @sources) = @_;
  my $path = "$out/$name.jsonl";
  open my $file, '>', "$path.part" or die "cannot write $path.part: $!\n";
  $_->($file) for @sources;
  close $file or die "cannot write $path.part: $!\n";
  rename "$path.part", $path or die "cannot rename $path.part: $!\n";
}

write_file('english', \&perl_manuals);
write_file('chinese', \&fortunes, \&manual_pages);
for my $source (sort keys %counts) {
  my ($documents, $bytes) = @{$counts{$source}};
  printf "  %-14s %6d documents %6.2f MB\n", $source, $documents, $bytes / 1e6;
}
