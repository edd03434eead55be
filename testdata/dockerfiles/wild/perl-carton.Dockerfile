FROM perl:5.40-slim
RUN cpanm --notest Carton Mojolicious && rm -rf ~/.cpanm
RUN perl -MConfig -e 'print "$Config{archname}\n"; $x = q{it'"'"'s};' | tee /a
RUN perl -pe 's/\$\{?(\w+)\}?/exists $ENV{$1} ? $ENV{$1} : $&/ge' < /t > /u
CMD ["carton", "exec", "hypnotoad", "-f", "script/app"]
