FROM rocker/r-ver:4.4.1
RUN /rocker_scripts/install_tidyverse.sh
RUN R -e "install.packages(c('shiny', 'rmarkdown'), repos='https://cloud.example.org/')"
RUN Rscript -e 'if (!requireNamespace("BiocManager", quietly = TRUE)) install.packages("BiocManager")' \
            -e 'BiocManager::install(version = "3.19", ask = FALSE)'
COPY --link app.R /srv/shiny-server/app.R
EXPOSE 3838
CMD ["R", "-e", "shiny::runApp('/srv/shiny-server', host = '0.0.0.0', port = 3838)"]
