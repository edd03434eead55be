FROM texlive/texlive:latest-small
RUN tlmgr update --self && tlmgr install \
  latexmk biber \
  "collection-fontsrecommended" # trailing text, no comment
WORKDIR /doc
ENTRYPOINT latexmk -pdf -interaction=nonstopmode -halt-on-error
