FROM alpine
# Kommentar mit Umlauten: äöüß
LABEL author="Jürgen Müller" emoji="🚀 ship it" cjk=漢字
ENV GREETING="Grüße, κόσμε"
RUN echo "naïve café — “quotes”" > /ünïcode.txt
COPY ["Ordner mit Ümlaut/ß.txt", "/データ/"]
