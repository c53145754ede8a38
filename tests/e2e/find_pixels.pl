#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Looks for pieces of films in folders. From the middle of each film 64 bytes with many different values are taken;
# every file below the folders is searched for all of them. Prints how many were looked for and where one was found.
# Usage: tests/e2e/find_pixels.pl FILM... -- FOLDER...      exit status: 0 none found, 1 some found, 2 could not look
use strict;
use warnings;
use File::Find;

my (@films, @folders);
my $list = \@films;
for my $argument (@ARGV) {
  if ($argument eq '--') { $list = \@folders } else { push @$list, $argument }
}

sub contents {
  my ($path) = @_;
  open(my $file, '<:raw', $path) or do { print "cannot read $path: $!\n"; exit 2 };
  local $/;
  return scalar(<$file>) // '';
}

my %film_of;
for my $film (@films) {
  my $bytes = contents($film);
  for my $twentieth (10 .. 18, 2 .. 9) {
    my $piece = substr($bytes, int(length($bytes) * $twentieth / 20), 64);
    my %values = map { $_ => 1 } unpack('C*', $piece);
    next if length($piece) < 64 || keys(%values) < 16;
    $film_of{$piece} = $film;
    last;
  }
}
if (!%film_of || !@folders) { print "nothing to look for\n"; exit 2 }

my ($files, $found) = (0, 0);
find({no_chdir => 1, wanted => sub {
  return unless -f $_;
  my $path = $_;
  my $bytes = contents($path);
  ++$files;
  for my $piece (keys %film_of) {
    next if index($bytes, $piece) < 0;
    print "$path holds a piece of $film_of{$piece}\n";
    ++$found;
  }
}}, @folders);
printf "%d pieces of films, %d files, %d found\n", scalar(keys %film_of), $files, $found;
exit($files == 0 ? 2 : $found > 0 ? 1 : 0);
